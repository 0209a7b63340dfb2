// Stands in for the generated `wasm/tallow.d.ts` while the wasm is not built; where that exists, it wins.
declare module "*/wasm/tallow.js" {
  type Glue = import("./wasm-contract.js").WasmGlue;
  const init: Glue["default"];
  export default init;
  export const chooseRelaxedDot: Glue["chooseRelaxedDot"];
  export const makePool: Glue["makePool"];
  export const meet: Glue["meet"];
  export const help: Glue["help"];
  export const lose: Glue["lose"];
  export const takeRefused: Glue["takeRefused"];
  export const layoutVersion: Glue["layoutVersion"];
  export const Loader: Glue["Loader"];
  export const Inspector: Glue["Inspector"];
  export const Sha256: Glue["Sha256"];
}
