import { loadModel } from "./node_modules/tallow/dist/index.js";
import { answer } from "./answer.js";

document.querySelector("output").textContent = JSON.stringify(await answer(loadModel));
