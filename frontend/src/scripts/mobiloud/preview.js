// The preview: a phone drawn from the configuration, the site inside it where the site lets us, and an honest word
// where it does not. Bars and tabs follow the fields at once; pages change when they are saved.
import { get } from "../http.js";
import { isColor, readableOn } from "./colors.js";
import { drawIcon } from "./icons.js";

const SETTINGS = "settings";

export function startPreview() {
  const preview = document.querySelector("[data-preview]");
  if (!preview) return;
  const badge = preview.querySelector("[data-preview-state]");
  const appetize = preview.querySelector("[data-appetize]");
  let saved = JSON.parse(document.getElementById("configuration").textContent);
  let draft = structuredClone(saved);

  function mark(unsaved) {
    badge.textContent = unsaved ? "Unsaved changes" : "Saved";
    badge.className = `state ${unsaved ? "tone-warning" : "tone-good"}`;
    preview.classList.toggle("is-unsaved", unsaved);
  }

  document.addEventListener("mobiloud-unsaved", ({ detail }) => mark(detail.differs));
  if (appetize) {
    document.addEventListener("mobiloud-draft", ({ detail }) => mark(detail.differs));
    document.addEventListener("mobiloud-saved", ({ detail }) => {
      const url = new URL(appetize.src);
      const params = JSON.parse(url.searchParams.get("params"));
      url.searchParams.set("params", JSON.stringify({ ...params, revision: detail.revision }));
      appetize.src = url.href;
      mark(false);
    });
    return;
  }

  const phone = preview.querySelector("[data-phone]");
  const page = preview.querySelector("[data-page]");
  const tabs = preview.querySelector("[data-tabs]");
  const sheet = preview.querySelector("[data-sheet]");
  const show = preview.querySelector("[data-preview-show]");
  const known = new Set(preview.dataset.sources.split(" "));
  const asked = new Map();
  let shown = "main";
  let shownUrl = "";

  const element = (name, text, className = "") => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  function placeholder(title, text, url) {
    const box = element("div", "", "phone-placeholder");
    box.append(element("strong", title), element("p", text));
    if (url) {
      const link = element("a", "Open it in a tab of its own");
      Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer" });
      box.append(link);
    }
    page.replaceChildren(box);
  }

  async function load(url) {
    if (url === shownUrl) return;
    shownUrl = url;
    placeholder("Loading", `Asking ${new URL(url).host} …`);
    try {
      if (!asked.has(url)) asked.set(url, get(`${preview.dataset.framingUrl}?${new URLSearchParams({ url })}`));
      const seen = await asked.get(url);
      if (shownUrl !== url) return;
      if (seen.refusal) {
        placeholder("This page cannot be shown here", `${seen.refusal} Your app is not affected: it loads the site itself.`, url);
        return;
      }
      if (!known.has(new URL(seen.url).origin)) {
        placeholder("The site leads to another address", `It redirects to ${new URL(seen.url).host}. Reload this page to see it.`, seen.url);
        return;
      }
      const frame = element("iframe");
      frame.title = "Your site inside the app";
      frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
      frame.referrerPolicy = "no-referrer";
      frame.src = seen.url;
      page.replaceChildren(frame);
    } catch (error) {
      asked.delete(url);
      if (shownUrl !== url) return;
      shownUrl = "";
      placeholder("The preview did not load", error.message, url);
    }
  }

  function choices() {
    const options = [new Option("Main page", "main")];
    for (const [number, tab] of draft.menu.tabs.entries()) options.push(new Option(`Tab: ${tab.label || number + 1}`, `tab-${number}`));
    options.push(new Option(draft.settings.label || "Settings", SETTINGS));
    if (!options.some((option) => option.value === shown)) shown = "main";
    show.replaceChildren(...options);
    show.value = shown;
  }

  function drawTabs() {
    const { tab_bar_background: background, tab_active: active, tab_inactive: inactive } = draft.colors;
    const open = shown === "main" ? draft.menu.tabs.findIndex((tab) => tab.url === draft.menu.main_url) : Number(shown.slice(4));
    if (isColor(background)) phone.style.setProperty("--tab-bar", background);
    tabs.hidden = draft.menu.tabs.length === 0;
    tabs.replaceChildren(
      ...draft.menu.tabs.map((tab, number) => {
        const box = element("span", "", "phone-tab");
        const color = number === open && shown !== SETTINGS ? active : inactive;
        if (isColor(color)) box.style.color = color;
        box.dataset.tab = number;
        box.append(drawIcon(preview.dataset.icons, tab.icon || "circle"), element("span", tab.label || "…"));
        return box;
      }),
    );
  }

  function drawSheet() {
    const list = element("ul");
    for (const link of draft.settings.links) list.append(element("li", link.label || "…"));
    const parts = [element("strong", draft.settings.label || "Settings")];
    if (draft.notifications.categories.length) {
      const tags = element("ul", "", "phone-tags");
      for (const category of draft.notifications.categories) tags.append(element("li", category.label || category.id || "…"));
      parts.push(element("span", "Notifications", "phone-group"), tags);
    }
    if (draft.settings.links.length) parts.push(element("span", "About", "phone-group"), list);
    if (parts.length === 1) parts.push(element("p", "No links and no categories yet."));
    sheet.replaceChildren(...parts);
  }

  function draw() {
    choices();
    const { status_bar: status } = draft.colors;
    if (isColor(status)) {
      phone.style.setProperty("--status-bar", status);
      phone.style.setProperty("--status-text", readableOn(status));
    }
    drawTabs();
    drawSheet();
    sheet.hidden = shown !== SETTINGS;
    page.hidden = shown === SETTINGS;
    const url = shown.startsWith("tab-") ? saved.menu.tabs[Number(shown.slice(4))]?.url : saved.menu.main_url;
    if (shown === SETTINGS) return;
    if (url) load(url);
    else {
      shownUrl = "";
      placeholder("Not saved yet", "The page of this tab shows up here when you save.");
    }
  }

  show.addEventListener("change", () => {
    shown = show.value;
    draw();
  });
  tabs.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-tab]");
    if (!tab) return;
    shown = `tab-${tab.dataset.tab}`;
    draw();
  });
  preview.querySelector("[data-preview-device]").addEventListener("change", (event) => {
    phone.dataset.device = event.target.value;
  });
  preview.querySelector("[data-preview-look]").addEventListener("change", (event) => {
    phone.dataset.look = event.target.value;
  });
  document.addEventListener("mobiloud-draft", ({ detail }) => {
    draft = { ...structuredClone(saved), [detail.section]: detail.value };
    mark(detail.differs);
    draw();
  });
  document.addEventListener("mobiloud-saved", ({ detail }) => {
    saved = detail.configuration;
    draft = structuredClone(saved);
    mark(false);
    draw();
  });
  draw();
}
