import { useEffect, useState } from "react";
import { loadModel } from "tallow";

/** The model at `source`, how far it is loaded, and what went wrong. It is disposed of with the component. */
export function useModel(source) {
  const [state, setState] = useState({});
  useEffect(() => {
    const gone = new AbortController();
    const loading = loadModel(source, {
      signal: gone.signal,
      onProgress: (progress) => setState({ progress }),
    });
    loading.then(
      (model) => setState({ model }),
      (error) => gone.signal.aborted || setState({ error }),
    );
    return () => {
      gone.abort();
      loading.then(
        (model) => model.dispose(),
        () => {},
      );
    };
  }, [source]);
  return state;
}
