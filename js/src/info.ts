/** What a loaded model says about itself. */

import type { WasmModuleName } from "./capabilities.js";

/** A value of the file's metadata. An array of more than 64 elements is given by its type and length alone. */
export type MetadataValue = string | number | boolean | MetadataValue[] | { type: string; length: number };

/** A loaded model, as `model.info`. */
export interface ModelInfo {
  /** `general.name`, else the file's name, else the architecture. */
  name: string;
  /** `general.architecture` */
  architecture: string;
  /** How many weights the model has. */
  parameters: number;
  /** How many of the weights each tensor type holds, for example `{ Q4_1: 134479872, F32: 35136 }`. */
  quantization: Record<string, number>;
  /** The tokens that prompt and answer may have together. */
  contextLength: number;
  /** The context that the model was trained on. */
  trainedContextLength: number;
  /** `general.license` */
  license: string | null;
  /** `general.base_model.0.name` */
  baseModel: string | null;
  /** Every key of the file. Numbers that JSON cannot hold exactly are strings. */
  metadata: Record<string, MetadataValue>;
  /** Bytes of memory that the engine held once the model was loaded. */
  memory: number;
  /** The wasm module that runs the model. */
  module: WasmModuleName;
  /** The threads that compute, each in a worker of its own. */
  threads: number;
}
