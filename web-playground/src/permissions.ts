// Which role may use which screen. The server decides; this only spares people a refusal.

import type { Role } from './shapes'

export type Permission = 'read' | 'classify' | 'define' | 'export' | 'ingest' | 'judge' | 'activate' | 'erase' | 'administer'

const TABLE: Record<Role, Permission[]> = {
  viewer: ['read'],
  analyst: ['read', 'classify', 'define', 'export'],
  ingest: ['ingest'],
  admin: ['read', 'classify', 'define', 'export', 'ingest', 'judge', 'activate', 'erase', 'administer'],
}

/** A role that the page does not know may try everything. */
export const may = (role: Role, permission: Permission): boolean => TABLE[role]?.includes(permission) ?? true

export const mayAll = (role: Role, permissions: Permission[]): boolean =>
  permissions.every((permission) => may(role, permission))

export const rolesThatMay = (permissions: Permission[]): Role[] =>
  (Object.keys(TABLE) as Role[]).filter((role) => mayAll(role, permissions))
