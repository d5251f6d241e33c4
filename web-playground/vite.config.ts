// Two pages: the playground, and GraphiQL with its editor, which alone weighs more than all the rest.
import { defineConfig } from 'vitest/config'

/** Where `npm run dev` finds the API: `cargo run`, or `npm run fake`. */
const API = 'http://127.0.0.1:8080'

export default defineConfig({
  // `index.html` is built as a page, not as an app that answers every path.
  appType: 'mpa',
  build: {
    // Nothing is inlined: the Content-Security-Policy allows no `data:` scripts, fonts or workers.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Monaco is one large chunk by nature, and is loaded on GraphiQL's page only.
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      input: ['index.html', 'graphiql.html'],
      // GraphiQL's packages carry React's "use client", which means nothing in a page.
      checks: { moduleLevelDirective: false },
    },
  },
  worker: { format: 'es' },
  // Found only inside a worker, where the development server no longer turns CommonJS into modules.
  optimizeDeps: {
    include: ['graphql', 'monaco-graphql > picomatch-browser', 'monaco-graphql > graphql-language-service'],
  },
  server: {
    // The saved operations of GraphiQL's page lie beside this folder.
    fs: { allow: ['..'] },
    proxy: {
      '/api': API,
      '/docs': API,
      '/openapi.json': API,
      '/graphql': { target: API, ws: true },
    },
  },
  test: { include: ['tests/unit/**/*.test.ts'] },
})
