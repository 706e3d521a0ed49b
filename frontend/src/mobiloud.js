// What only MobiLoud's pages need, and no other page should load.
import { startPreview } from "./scripts/mobiloud/preview.js";
import { startSection } from "./scripts/mobiloud/section.js";

startPreview();
startSection();
