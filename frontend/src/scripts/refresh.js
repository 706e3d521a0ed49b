// Takes the parts of this page that may have changed ([data-part]) from a fresh copy of it, without a reload.
export async function freshPage(url = location.href) {
  const response = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  if (!response.ok) {
    location.reload();
    throw new Error("the page has ended");
  }
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

export async function refreshParts() {
  const page = await freshPage();
  const held = document.activeElement?.closest("[data-part]")?.dataset.part;
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (fresh) part.replaceWith(document.importNode(fresh, true));
  }
  document.dispatchEvent(new CustomEvent("parts-refreshed"));
  // Whoever goes by keyboard goes on from the heading of what was replaced, not from the top of the page.
  if (held && document.activeElement === document.body) document.querySelector(`[data-part="${held}"] [tabindex="-1"]`)?.focus();
}
