// A list of rows that can be added, removed and put in order: by dragging, by buttons, and by Alt with an arrow key.
import Sortable from "sortablejs";

export function startList(element, { changed, drawn }) {
  const place = element.querySelector("[data-rows]");
  const template = element.querySelector("template");
  const most = Number(element.dataset.max);
  const one = element.dataset.one;
  const disabled = !("opens" in element.closest("fieldset").dataset);
  const origins = new WeakMap();
  const rows = () => [...place.children];
  const titleOf = (row, number) => row.querySelector('[data-key="label"]').value.trim() || `${one} ${number + 1}`;

  function say(text) {
    element.querySelector("[data-announce]").textContent = text;
  }

  function update() {
    const all = rows();
    element.querySelector("[data-count]").textContent = `${all.length} of ${most}`;
    element.querySelector("[data-empty]").hidden = all.length > 0;
    element.querySelector("[data-add]").disabled = all.length >= most;
    for (const [number, row] of all.entries()) {
      const title = titleOf(row, number);
      const [up, down] = row.querySelectorAll("[data-move]");
      up.disabled = number === 0;
      down.disabled = number === all.length - 1;
      up.setAttribute("aria-label", `Move ${title} up`);
      down.setAttribute("aria-label", `Move ${title} down`);
      row.querySelector("[data-remove]").setAttribute("aria-label", `Remove ${title}`);
      drawn?.(row, title);
    }
  }

  function add(item) {
    const row = template.content.firstElementChild.cloneNode(true);
    origins.set(row, item);
    for (const input of row.querySelectorAll("[data-key]")) {
      const value = item[input.dataset.key];
      if (value !== undefined) input.value = value;
      if (disabled) input.disabled = true;
      // Each copy of the template has the same ids.
      input.removeAttribute("aria-describedby");
    }
    place.append(row);
    return row;
  }

  function move(row, step, focus) {
    const other = step < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (step < 0) other.before(row);
    else other.after(row);
    moved(row);
    if (focus.disabled) row.querySelector("[data-move]:not(:disabled)")?.focus();
    else focus.focus();
  }

  function moved(row) {
    update();
    changed();
    const number = rows().indexOf(row);
    say(`${titleOf(row, number)} is now ${number + 1} of ${rows().length}`);
  }

  element.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    const mover = event.target.closest("[data-move]");
    if (mover) move(row, Number(mover.dataset.move), mover);
    if (event.target.closest("[data-remove]")) {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      const title = titleOf(row, rows().indexOf(row));
      row.remove();
      update();
      changed();
      say(`${title} removed`);
      (next?.querySelector("[data-remove]") ?? element.querySelector("[data-add]")).focus();
    }
    if (event.target.closest("[data-add]")) {
      const fresh = add({});
      update();
      changed();
      fresh.querySelector('input[data-key="label"]').focus();
    }
  });
  element.addEventListener("keydown", (event) => {
    const row = event.target.closest("[data-row]");
    if (!row || !event.altKey || disabled) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    move(row, step, event.target);
  });
  element.addEventListener("input", update);
  if (!disabled) {
    Sortable.create(place, {
      handle: "[data-handle]",
      animation: 150,
      ghostClass: "is-ghost",
      onEnd: (event) => moved(event.item),
    });
  }

  return {
    rows,
    update,
    fill(items) {
      place.replaceChildren();
      for (const item of items) add(item);
      update();
    },
    read: () =>
      rows().map((row) => {
        const item = { ...origins.get(row) };
        for (const input of row.querySelectorAll("[data-key]")) item[input.dataset.key] = input.value.trim();
        return item;
      }),
  };
}
