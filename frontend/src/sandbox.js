// The sandbox page works without this file; it adds live progress, copying, and small comforts.

const live = document.getElementById("live");
const FAST = 1200;
const SLOW = 6000;

function comfort(root) {
  for (const button of root.querySelectorAll(".sbx-copy")) button.hidden = !navigator.clipboard;
}

// A person who types, chooses or holds a menu open in the live part is not interrupted.
function occupied() {
  const active = document.activeElement;
  if (live.contains(active) && active.matches("input, select, textarea")) return true;
  return live.querySelector(".sbx-menu[open]") !== null || String(getSelection()).length > 0;
}

let shown = live?.innerHTML.replace(/\s+/g, " ").trim();

async function refresh() {
  if (document.hidden || occupied()) return;
  const answer = await fetch(`/page/addons?app=${encodeURIComponent(live.dataset.app)}`);
  if (!answer.ok) return;
  const html = await answer.text();
  const plain = html.replace(/\s+/g, " ").trim();
  if (plain === shown || occupied()) return;
  shown = plain;
  const open = new Set([...live.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  const focus = document.activeElement?.closest?.("[data-key]")?.dataset.key;
  live.innerHTML = html;
  for (const one of live.querySelectorAll("details")) {
    one.open = open.has(one.dataset.key);
    if (focus && one.dataset.key === focus) one.querySelector("summary")?.focus();
  }
  live.dataset.busy = live.querySelector("section")?.dataset.busy ?? "false";
  comfort(live);
}

async function keepLooking() {
  for (;;) {
    await new Promise((done) => setTimeout(done, live.dataset.busy === "true" ? FAST : SLOW));
    try {
      await refresh();
    } catch {
      // The sandbox may be restarting; the next look will tell.
    }
  }
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest(".sbx-copy");
  if (copy) {
    await navigator.clipboard.writeText(copy.dataset.copy);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  }
  for (const menu of document.querySelectorAll(".sbx-menu[open], .sbx-newapp[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest?.(".sbx-menu[open], .sbx-newapp[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("submit", (event) => {
  const label = event.target.dataset.busyLabel;
  const button = event.target.querySelector("button[type=submit]");
  if (!label || !button) return;
  button.textContent = label;
  button.setAttribute("aria-busy", "true");
  setTimeout(() => (button.disabled = true));
});

document.addEventListener("change", (event) => {
  const chosen = event.target;
  if (chosen.form?.matches("[data-submit-on-change]")) chosen.form.submit();
  if (chosen.dataset.describes) {
    document.getElementById(chosen.dataset.describes).textContent = chosen.selectedOptions[0].dataset.about;
  }
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  document.documentElement.dataset.bsTheme = event.matches ? "dark" : "light";
});

for (const one of document.querySelectorAll("[data-without-script]")) one.hidden = true;
function openTarget() {
  if (/^#[a-z]+$/.test(location.hash)) document.querySelector(`details${location.hash}`)?.setAttribute("open", "");
}
openTarget();
addEventListener("hashchange", openTarget);
comfort(document);
if (live) keepLooking();
