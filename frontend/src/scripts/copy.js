import { toast } from "./toasts.js";

// Writes to the clipboard; `text` may be a promise, which some browsers only allow through a ClipboardItem.
export async function copyText(text) {
  if (globalThis.ClipboardItem && navigator.clipboard?.write) {
    const blob = Promise.resolve(text).then((value) => new Blob([value], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return;
  }
  await navigator.clipboard.writeText(await text);
}

export function markCopied(button, what) {
  button.classList.add("is-done");
  setTimeout(() => button.classList.remove("is-done"), 1800);
  toast(`${what} copied`);
}

export function startCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await copyText(source.textContent.trim());
      markCopied(button, button.dataset.what);
    } catch {
      getSelection().selectAllChildren(source);
      toast("Your browser does not allow copying; the text is selected instead.", { bad: true });
    }
  });
}
