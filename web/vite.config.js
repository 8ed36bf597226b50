import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig } from "vite";

/** Beside every file that compresses, the same in gzip and brotli: the server sends what the browser takes, and compresses nothing. */
const precompress = {
  name: "precompress",
  apply: "build",
  writeBundle({ dir }, bundle) {
    for (const name of Object.keys(bundle).filter((name) => /\.(js|css|svg)$/.test(name))) {
      const plain = readFileSync(join(dir, name));
      writeFileSync(join(dir, `${name}.gz`), gzipSync(plain, { level: 9 }));
      writeFileSync(join(dir, `${name}.br`), brotliCompressSync(plain));
    }
  },
};

export default defineConfig({
  base: "/static/",
  publicDir: false,
  plugins: [precompress],
  build: {
    outDir: "../api/pages/static",
    emptyOutDir: true,
    manifest: "manifest.json",
    assetsDir: ".",
    assetsInlineLimit: 0, // the pages' policy allows no data: addresses
    modulePreload: { polyfill: false },
    rollupOptions: { input: ["src/home.tsx", "src/practice.tsx", "src/session.tsx", "src/drill.tsx", "src/overlay.tsx", "src/search.tsx", "src/app.css", "src/icon.svg"] },
  },
});
