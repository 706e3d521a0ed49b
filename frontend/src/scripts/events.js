// "Show older": the link leads to a page of older events; here they are put below the present ones instead.
import { freshPage } from "./refresh.js";

export function startEvents() {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-older]");
    if (!link) return;
    event.preventDefault();
    const page = await freshPage(link.href);
    const list = document.querySelector("[data-events]");
    const first = [...page.querySelectorAll("[data-events] > li")].map((item) => document.importNode(item, true));
    list.append(...first);
    const older = page.querySelector("[data-older]");
    if (older) link.href = older.href;
    else link.remove();
    if (first[0]) {
      first[0].tabIndex = -1;
      first[0].focus();
    }
  });
}
