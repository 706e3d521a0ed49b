// Secret config vars: fetched when asked for, hidden again after a minute and when the page is left.
import { copyText, markCopied } from "./copy.js";
import { pageHasEnded, post } from "./http.js";
import { toast } from "./toasts.js";

const MASK = "••••••••••••••••";
const SHOWN_FOR_MS = 60_000;
const timers = new WeakMap();

const fetchValue = async (row) => (await post(row.dataset.revealUrl, { name: row.dataset.secret })).value;

// The text around the secret, with the secret in it: `data-copy-secret` names the element of a whole block of code.
function within(row, button, value) {
  const block = document.getElementById(button.dataset.copySecret).cloneNode(true);
  block.querySelector("[data-value]").textContent = value;
  return block.textContent.trim();
}

function hide(row) {
  clearTimeout(timers.get(row));
  const value = row.querySelector("[data-value]");
  value.textContent = MASK;
  value.classList.add("is-masked");
  const button = row.querySelector("[data-reveal]");
  button.setAttribute("aria-pressed", "false");
}

async function reveal(row) {
  const text = await fetchValue(row);
  const value = row.querySelector("[data-value]");
  value.textContent = text;
  value.classList.remove("is-masked");
  row.querySelector("[data-reveal]").setAttribute("aria-pressed", "true");
  toast(`${row.dataset.secret} revealed`);
  timers.set(row, setTimeout(() => hide(row), SHOWN_FOR_MS));
}

function complain(error) {
  if (pageHasEnded(error)) {
    location.reload();
    return;
  }
  toast(error.message, { bad: true });
}

export function startSecrets() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-reveal], [data-copy-secret]");
    const row = button?.closest("[data-secret]");
    if (!row || button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      if (button.matches("[data-copy-secret]")) {
        await copyText(fetchValue(row).then((value) => (button.dataset.copySecret ? within(row, button, value) : value)));
        markCopied(button, button.dataset.what || row.dataset.secret);
      } else if (button.getAttribute("aria-pressed") === "true") {
        hide(row);
      } else {
        await reveal(row);
      }
    } catch (error) {
      complain(error.status === undefined ? new Error("Your browser does not allow copying: reveal it instead.") : error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  addEventListener("pagehide", () => document.querySelectorAll("[data-secret]").forEach(hide));
}
