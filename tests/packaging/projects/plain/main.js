import { answer } from "./answer.js";
import { loadModel } from "./node_modules/tallow/dist/index.js";

await answer(loadModel);
