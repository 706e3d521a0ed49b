// Short messages at the bottom, read out by screen readers.
export function toast(text, { bad = false } = {}) {
  const area = document.querySelector("[data-toasts]");
  if (!area) return;
  const message = document.createElement("p");
  message.textContent = text;
  if (bad) message.className = "is-bad";
  area.append(message);
  setTimeout(() => message.remove(), bad ? 9000 : 4000);
}
