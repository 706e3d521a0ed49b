// What only KafkaCluster's pages need, and no other page should load.
import { startQuotas } from "./scripts/quotas.js";

startQuotas();
