// What only MobiLoud's pages need, and no other page should load.
import { startAutosave } from "./scripts/mobiloud/autosave.js";
import { openWhatWaited } from "./scripts/mobiloud/opening.js";
import { startPreview } from "./scripts/mobiloud/preview.js";
import { startSection } from "./scripts/mobiloud/section.js";
import { startSubmission } from "./scripts/mobiloud/submission.js";

startPreview();
startSection();
startAutosave();
startSubmission();
if (!document.querySelector("[data-document]")) openWhatWaited();
// On a phone the sidebar is wider than the screen: the present page is to be seen.
document.querySelector(".sidebar [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
