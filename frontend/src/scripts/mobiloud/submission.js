// Beside the fields of the submission form: graphics and the signature.
import SignaturePad from "signature_pad";
import { post, postFile } from "../http.js";
import { refreshParts } from "../refresh.js";
import { toast } from "../toasts.js";
import { savedFirst } from "./autosave.js";

function startUploads() {
  document.addEventListener("change", async (event) => {
    const input = event.target.closest("[data-upload]");
    if (!input?.files.length) return;
    const box = input.closest("[data-upload-kind]");
    const problem = box.querySelector("[data-upload-problem]");
    problem.textContent = "";
    box.setAttribute("aria-busy", "true");
    try {
      const { message } = await postFile(input.dataset.uploadUrl, { kind: input.dataset.upload, file: input.files[0] });
      await refreshParts();
      toast(message);
      document.querySelector(`[data-upload="${input.dataset.upload}"]`)?.focus();
    } catch (error) {
      problem.textContent = error.message;
      input.value = "";
    } finally {
      box.removeAttribute("aria-busy");
    }
  });
}

function startSigning() {
  let pad = null;
  const form = () => document.querySelector("[data-signing]");

  function show() {
    const current = form();
    if (!current) return;
    const drawn = current.querySelector('[name="way"]:checked').value === "drawn";
    current.querySelector("[data-drawn]").hidden = !drawn;
    const typed = current.querySelector("[data-typed]");
    typed.hidden = drawn;
    typed.textContent = document.querySelector('[name="legal_name"]')?.value ?? "";
    const canvas = current.querySelector("canvas");
    if (drawn && pad?.canvas !== canvas) pad = new SignaturePad(canvas, { penColor: "#111414", minWidth: 1, maxWidth: 2.6 });
  }

  document.addEventListener("input", show);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-clear]")) pad?.clear();
  });
  document.addEventListener("submit", async (event) => {
    const current = event.target.closest("[data-signing]");
    if (!current) return;
    event.preventDefault();
    const problem = current.querySelector("[data-problem]");
    problem.textContent = "";
    const drawn = current.querySelector('[name="way"]:checked').value === "drawn";
    if (drawn && pad.isEmpty()) {
      problem.textContent = "Draw your signature, or choose the typed name.";
      return;
    }
    try {
      await savedFirst();
      const { message } = await post(current.action, {
        digest: current.querySelector('[name="digest"]').value,
        drawing: drawn ? pad.toDataURL("image/png") : "",
      });
      pad = null;
      await refreshParts();
      show();
      toast(message);
      // The button that had the focus was taken away with its part.
      document.querySelector('[data-part="signing"] .notice a')?.focus();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  show();
}

export function startSubmission() {
  if (!document.querySelector("[data-submission]")) return;
  startUploads();
  startSigning();
}
