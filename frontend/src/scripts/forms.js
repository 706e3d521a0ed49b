// Forms of a dashboard ([data-dashboard-form]): sent without leaving the page, which then shows what is new. Without this
// script they are sent as any form is, and the answer is a redirect.
import { pageHasEnded, post } from "./http.js";
import { refreshParts } from "./refresh.js";
import { toast } from "./toasts.js";

const SAID = "said-after-reload";

function show(message, url) {
  if (!url || new URL(url, location.href).pathname === location.pathname) return refreshParts().then(() => toast(message));
  sessionStorage.setItem(SAID, message);
  location.assign(url);
  return new Promise(() => {});
}

export function startForms() {
  const said = sessionStorage.getItem(SAID);
  if (said) {
    sessionStorage.removeItem(SAID);
    toast(said);
  }
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-dashboard-form]");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector('[type="submit"]');
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    const problem = form.querySelector("[data-problem]");
    problem.textContent = "";
    try {
      const { message, url } = await post(form.action, new FormData(form));
      const dialog = form.closest("dialog");
      dialog?.close();
      if (dialog || form.hasAttribute("data-reset")) form.reset();
      await show(message, url);
    } catch (error) {
      if (pageHasEnded(error)) location.reload();
      problem.textContent = error.message;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
}
