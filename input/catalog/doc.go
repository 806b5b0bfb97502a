// Package catalog finds out what the source is: the server and its settings,
// the tables to replicate with their keys and types, the publication and the
// replication slot. It changes nothing but the publication and the slot that
// carry Penstock's name.
package catalog
