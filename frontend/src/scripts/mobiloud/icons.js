// The picker of tab icons: searched by name and by what the drawing stands for.
const SVG = "http://www.w3.org/2000/svg";

export function drawIcon(sprite, name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite}#${name}`);
  drawing.append(use);
  return drawing;
}

export function startIcons() {
  const listed = document.getElementById("icons");
  if (!listed) return null;
  const known = JSON.parse(listed.textContent);
  const sprite = document.querySelector("[data-preview]").dataset.icons;
  const dialog = document.getElementById("icon-dialog");
  const grid = dialog.querySelector("[data-icon-grid]");
  const search = dialog.querySelector("[data-icon-search]");
  const words = (name) => `${name} ${name.replaceAll("-", " ")} ${known[name]}`;
  let target;
  let tell = () => {};

  for (const name of Object.keys(known)) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "icon-choice";
    button.dataset.icon = name;
    button.title = name;
    button.setAttribute("aria-label", name.replaceAll("-", " "));
    button.append(drawIcon(sprite, name));
    grid.append(button);
  }

  function show() {
    const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const button of grid.children) {
      button.hidden = !wanted.every((word) => words(button.dataset.icon).includes(word));
      count += button.hidden ? 0 : 1;
    }
    dialog.querySelector("[data-icon-count]").textContent = count ? `${count} icons` : "No icon fits. Try another word.";
  }

  function pick(name) {
    target.querySelector('[data-key="icon"]').value = name;
    draw(target);
    dialog.close();
    target.querySelector("[data-pick-icon]").focus();
    tell();
  }

  function draw(row) {
    const name = row.querySelector('[data-key="icon"]').value;
    const button = row.querySelector("[data-pick-icon]");
    button.querySelector("use").setAttribute("href", `${sprite}#${name in known ? name : "circle"}`);
    button.classList.toggle("is-empty", !(name in known));
    const title = row.querySelector('[data-key="label"]').value.trim();
    button.setAttribute("aria-label", `Icon of ${title || "the tab"}: ${name ? name.replaceAll("-", " ") : "none"}. Pick another`);
  }

  search.addEventListener("input", show);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const first = [...grid.children].find((button) => !button.hidden);
    if (first) pick(first.dataset.icon);
  });
  grid.addEventListener("click", (event) => {
    const button = event.target.closest("[data-icon]");
    if (button) pick(button.dataset.icon);
  });
  return {
    draw,
    start(form, changed) {
      tell = changed;
      form.addEventListener("click", (event) => {
        const opener = event.target.closest("[data-pick-icon]");
        if (!opener) return;
        target = opener.closest("[data-row]");
        search.value = "";
        show();
        const current = target.querySelector('[data-key="icon"]').value;
        for (const button of grid.children) button.setAttribute("aria-pressed", String(button.dataset.icon === current));
        dialog.showModal();
        search.focus();
      });
    },
  };
}
