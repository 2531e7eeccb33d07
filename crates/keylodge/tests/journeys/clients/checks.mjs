// What the programs beside this one have in common: a line for each check, and an end at the first that fails.

export function check(what, holds, shown) {
  console.log(holds ? 'ok' : 'FAILED', what, holds ? '' : JSON.stringify(shown ?? null));
  if (!holds) process.exit(1);
}

export async function raised(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return null;
}

export async function all(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}
