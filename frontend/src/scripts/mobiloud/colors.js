// Colours: the picker and the text follow each other, and what is hard to read is said, without standing in the way.
const HEX = /^#[0-9a-f]{6}$/i;
const READABLE = 4.5;

function luminance(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

export const isColor = (text) => HEX.test(text);
export const readableOn = (color) => (contrast(color, "#000000") > contrast(color, "#FFFFFF") ? "#000000" : "#FFFFFF");

export function startColors(form, changed) {
  const pickers = [...form.querySelectorAll("[data-picks]")];
  if (pickers.length === 0) return null;
  const text = (key) => form.querySelector(`[data-key="${key}"]`);

  function warn(key, message) {
    const place = form.querySelector(`[data-contrast="${key}"]`);
    if (place.textContent !== message) place.textContent = message;
  }

  function update() {
    for (const picker of pickers) {
      const value = document.getElementById(picker.dataset.picks).value.trim();
      if (isColor(value)) picker.value = value.toLowerCase();
    }
    const behind = text("tab_bar_background").value.trim();
    for (const key of ["tab_active", "tab_inactive"]) {
      const value = text(key).value.trim();
      const ratio = isColor(behind) && isColor(value) ? contrast(behind, value) : READABLE;
      warn(key, ratio < READABLE ? `Hard to read on the tab bar: contrast ${ratio.toFixed(1)} to 1, better 4.5 or more.` : "");
    }
    const [active, inactive] = [text("tab_active").value.trim(), text("tab_inactive").value.trim()];
    const alike = isColor(active) && isColor(inactive) && contrast(active, inactive) < 1.25 && !form.querySelector('[data-contrast="tab_inactive"]').textContent;
    if (alike) warn("tab_inactive", "Hard to tell from the active tab.");
  }

  form.addEventListener("input", (event) => {
    const target = event.target.dataset.picks;
    if (target) {
      document.getElementById(target).value = event.target.value.toUpperCase();
      changed();
    }
    update();
  });
  return { update };
}
