// Continuing an export: the file that broke off is read here, from its end, and tells where the next one begins.
const TAIL_BYTES = 4_000_000;

async function lastWhole(file) {
  const text = await file.slice(Math.max(0, file.size - TAIL_BYTES)).text();
  const lines = text.split("\n");
  // What follows the last line break was cut off.
  for (const line of lines.slice(0, -1).reverse()) {
    try {
      if (line.trim()) return JSON.parse(line);
    } catch {
      return null;
    }
  }
  return null;
}

export function startExports() {
  // The same file may be chosen again after it has grown: without this that would be no change.
  document.addEventListener("click", (event) => {
    const input = event.target.closest("[data-export-file]");
    if (input) input.value = "";
  });
  document.addEventListener("change", async (event) => {
    const input = event.target.closest("[data-export-file]");
    if (!input?.files.length) return;
    const form = input.closest("[data-export-resume]");
    const said = form.querySelector("[data-export-said]");
    const line = await lastWhole(input.files[0]);
    if (line?.complete) said.textContent = "This file is complete.";
    else if (Number.isInteger(line?.offset) && Number.isInteger(line?.partition)) {
      form.elements.partition.value = line.partition;
      form.elements.offset.value = line.offset + 1;
      said.textContent = `It goes on after partition ${line.partition}, offset ${line.offset}.`;
    } else said.textContent = "No whole line of an export was found in this file.";
  });
}
