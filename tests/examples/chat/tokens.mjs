// JSON Web Tokens for the stream server, signed with its `auth_hs256_secret`.
import { createHmac } from "node:crypto"

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** Returns the request fields of a caller with this scope for names that begin with `prefix`, for a day. */
export function authorization(secret, scope, prefix) {
  // A stream server without access control needs no token.
  if (!secret) return {}
  const exp = Math.floor(Date.now() / 1000) + 86_400
  const signed = `${encode({ alg: "HS256" })}.${encode({ exp, scope, prefix })}`
  const signature = createHmac("sha256", secret).update(signed).digest("base64url")
  return { authorization: `Bearer ${signed}.${signature}` }
}
