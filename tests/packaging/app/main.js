import { loadModel } from "tallow";
import { answer } from "./answer.js";

document.querySelector("output").textContent = JSON.stringify(await answer(loadModel));
