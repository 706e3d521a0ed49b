// The operators' navigation stands open beside the page; on a narrow screen it begins closed above it.
export function startNavigation() {
  const navigation = document.querySelector("[data-op-nav]");
  if (!navigation) return;
  const narrow = matchMedia("(max-width: 60rem)");
  const settle = () => navigation.toggleAttribute("open", !narrow.matches);
  narrow.addEventListener("change", settle);
  settle();
}
