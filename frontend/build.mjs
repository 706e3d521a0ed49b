// Bundles every entry file of src/ and puts each where its server looks for it:
// dashboard pages through Django's static files, the sandbox from its own folder,
// because the sandbox starts alone and knows nothing of the Django project.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const targets = [
  {
    entries: [
      "dashboard.js", "dashboard.css", "inference.js", "kafka.js", "billing.js", "mobiloud.js", "mobiloud-editor.js",
      "operators.css", "operators-admin.css",
    ],
    outdir: join(here, "dist", "frontend"),
  },
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
    // Django's own files, which lie beside ours once the static files are collected.
    external: ["../admin/*"],
    loader: { ".svg": "text", ".woff2": "file", ".woff": "file" },
    logLevel: "warning",
  });
}

// Sprites: a page names an icon, and the browser fetches them all once. The dashboards' own, and those of the tabs of
// mobile apps, which customers pick from.
function sprite(names) {
  const symbols = names.map((name) => {
    const file = join(here, "node_modules", "@tabler", "icons", "icons", "outline", `${name}.svg`);
    const drawing = readFileSync(file, "utf8")
      .replace(/^[\s\S]*?<svg[^>]*>/, "")
      .replace("</svg>", "")
      .replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "")
      .replace(/\s+/g, " ")
      .trim();
    return (
      `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" ` +
      `stroke-linecap="round" stroke-linejoin="round">${drawing}</symbol>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
}
const read = (name) => JSON.parse(readFileSync(join(here, "src", name), "utf8"));
mkdirSync(targets[0].outdir, { recursive: true });
writeFileSync(join(targets[0].outdir, "icons.svg"), sprite(read("icons.json")));
writeFileSync(join(targets[0].outdir, "tab-icons.svg"), sprite(Object.keys(read("tab-icons.json"))));
