// Bundle the page into OUT (argv[2], default dist): index.html, app-<hash>.js, app-<hash>.css. The binary embeds what is there.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "dist");

const bundle = await build({
  entryPoints: [join(here, "src/app.ts"), join(here, "src/app.css")],
  bundle: true, minify: true, write: false, outdir: out, format: "esm", target: "es2022", legalComments: "none",
});

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
let html = readFileSync(join(here, "src/index.html"), "utf8");
for (const file of bundle.outputFiles) {
  const kind = file.path.endsWith(".css") ? "css" : "js";
  const name = `app-${createHash("sha256").update(file.contents).digest("hex").slice(0, 12)}.${kind}`;
  writeFileSync(join(out, name), file.contents);
  html = html.replace(`app.${kind}`, name);
}
writeFileSync(join(out, "index.html"), html);
