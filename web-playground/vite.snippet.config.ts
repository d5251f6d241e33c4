// The snippet that websites load: one script without imports, beside the pages.
import { defineConfig } from 'vite'

export default defineConfig({
  publicDir: false,
  build: {
    emptyOutDir: false,
    target: 'es2017',
    lib: {
      entry: 'snippet/collect.ts',
      formats: ['iife'],
      name: 'cdpSnippet',
      fileName: () => 'collect.js',
    },
  },
})
