// How a session begins, goes on and ends.

import { type Call, json } from '../api'
import type { Token } from '../shapes'

export const requestToken = (username: string, password: string): Call<Token> => ({
  method: 'POST',
  path: '/api/auth/token',
  anonymous: true,
  ...json({ username, password }),
})

export const renewToken = (refreshToken: string): Call<Token> => ({
  method: 'POST',
  path: '/api/auth/refresh',
  anonymous: true,
  ...json({ refresh_token: refreshToken }),
})

/** Ends the session; the answer has no body. */
export const revokeToken = (refreshToken: string): Call<undefined> => ({
  method: 'POST',
  path: '/api/auth/revoke',
  anonymous: true,
  ...json({ refresh_token: refreshToken }),
})
