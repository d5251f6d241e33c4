// Two pages: the playground, and GraphiQL with its editor, which alone weighs more than all the rest.
import { defineConfig } from 'vitest/config'

/** Where `npm run dev` and `npm run preview` find the API: any server, for example `make run`. */
const API = process.env.API ?? 'http://127.0.0.1:8080'

const proxy = {
  '/api': API,
  '/docs': API,
  '/openapi.json': API,
  '/collect': API,
  '/collect.js': API,
  '/graphql': { target: API, ws: true },
}

/** As the server sends it with every file of the page (`src/api/assets.rs`). */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; " +
  "form-action 'self'; frame-ancestors 'none'"

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
  // The GraphQL operations are read from the repository's `queries/`.
  server: { proxy, fs: { allow: ['..'] } },
  // Only pages carry the policy here: what comes through the proxy has headers of its own.
  preview: { proxy },
  plugins: [
    {
      name: 'policy-of-the-server',
      configurePreviewServer: (server) => {
        server.middlewares.use((request, response, next) => {
          if (!Object.keys(proxy).some((path) => request.url?.startsWith(path))) {
            response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY)
          }
          next()
        })
      },
    },
  ],
  // A test waits for what it imports, which takes long on a busy machine.
  test: { include: ['tests/unit/**/*.test.ts'], testTimeout: 60_000 },
})
