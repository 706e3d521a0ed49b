// What only the pages of inference need, and no other page should load.
import { startChat } from "./scripts/chat.js";
import { startRerank } from "./scripts/rerank.js";
import { startUsage } from "./scripts/usage.js";

startUsage();
startChat();
startRerank();
