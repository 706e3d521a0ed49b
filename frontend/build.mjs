// Bundles every entry file of src/ and puts each where its server looks for it:
// dashboard pages through Django's static files, the sandbox from its own folder,
// because the sandbox starts alone and knows nothing of the Django project.
import { build } from "esbuild";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const targets = [
  { entries: ["dashboard.js", "dashboard.css"], outdir: join(here, "dist", "frontend") },
  { entries: ["sandbox.js", "sandbox.css"], outdir: join(here, "..", "sandbox", "static", "dist") },
];

for (const { entries, outdir } of targets) {
  const entryPoints = entries.map((name) => join(here, "src", name)).filter(existsSync);
  if (entryPoints.length === 0) continue;
  await build({
    entryPoints,
    outdir,
    bundle: true,
    minify: true,
    sourcemap: false,
    format: "esm",
    target: ["es2022"],
    loader: { ".svg": "text", ".woff2": "file", ".woff": "file" },
    logLevel: "warning",
  });
}
