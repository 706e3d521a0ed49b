// Fields and buttons that need a script wait for it ([data-opens], disabled as the server sends them): what is typed into a
// page that is still loading would be saved by nobody. Parts that come anew from the server wait again.
function open() {
  for (const part of document.querySelectorAll("[data-opens]")) part.disabled = false;
}

export function openWhatWaited() {
  open();
  document.addEventListener("parts-refreshed", open);
}
