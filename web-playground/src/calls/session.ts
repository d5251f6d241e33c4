// How a token is got.

import { type Call, json } from '../api'
import type { Token } from '../shapes'

export const requestToken = (username: string, password: string): Call<Token> => ({
  method: 'POST',
  path: '/api/auth/token',
  anonymous: true,
  ...json({ username, password }),
})
