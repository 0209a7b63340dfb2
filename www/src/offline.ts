/** The page without a network: the service worker `sw.js` keeps it on this device. */
import { capabilities } from "tallow";

/**
 * Has the browser keep this version of the page, or start anew with a newer one that an earlier visit has brought.
 * Where it refuses, as in some private windows and at insecure addresses, the page is no worse for it.
 */
export async function keepPage(): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  try {
    const { serviceWorker } = navigator;
    const registration = await serviceWorker.register(`./sw.js?module=${capabilities().module}`);
    serviceWorker.addEventListener("controllerchange", () => location.reload());
    registration.waiting?.postMessage("started");
  } catch {
    return;
  }
}

/** Whether the page came from this device. */
export function isKept(): boolean {
  return navigator.serviceWorker?.controller != null;
}
