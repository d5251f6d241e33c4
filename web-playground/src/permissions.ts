// Which role may use which screen. The server decides; this only spares people a refusal.

import type { Role } from './shapes'

export type Permission = 'read' | 'classify' | 'ingest'

const TABLE: Record<Role, Permission[]> = {
  viewer: ['read'],
  analyst: ['read', 'classify'],
  ingest: ['ingest'],
  admin: ['read', 'classify', 'ingest'],
}

/** A role that the page does not know may try everything. */
export const may = (role: Role, permission: Permission): boolean => TABLE[role]?.includes(permission) ?? true

export const rolesThatMay = (permission: Permission): Role[] =>
  (Object.keys(TABLE) as Role[]).filter((role) => may(role, permission))
