package input

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock/penstock/input/catalog"
	"github.com/penstock/penstock/internal/change"
	"github.com/penstock/penstock/lifecycle"
)

// skipsMissing says that the server decodes as if nothing had been published
// where the publication does not exist. Before PostgreSQL 18 it ends the stream
// there.
func skipsMissing(server *catalog.Server) bool { return server.Version >= 180000 }

// recordPublication remembers which publication the pipe streams.
func (d *driver) recordPublication(ctx context.Context, conn *pgx.Conn) error {
	oid, err := catalog.PublicationOID(ctx, conn, d.config.publication)
	if err != nil {
		return err
	}
	return d.pipe.Update(ctx, func(s *lifecycle.State) error {
		s.PublicationOID = oid
		return nil
	})
}

// checkPublication makes sure that the publication is there and, where the
// server would not tell, that it is the one that was there all the time.
func (d *driver) checkPublication(ctx context.Context, conn *pgx.Conn, server *catalog.Server) error {
	name := d.config.publication
	oid, err := catalog.PublicationOID(ctx, conn, name)
	if err != nil {
		return err
	}
	if oid == 0 {
		return &change.Failure{
			Class:  catalog.ClassPublication,
			Reason: fmt.Sprintf("publication %q does not exist any more", name),
			Fix:    "resync the pipe, which makes it again (a publication of your own: create it again for the same tables, with publish_via_partition_root = true, then resync)",
		}
	}
	if known := d.pipe.State().PublicationOID; skipsMissing(server) && known != 0 && oid != known {
		return d.publicationRemade(nil)
	}
	return nil
}

func (d *driver) publicationRemade(cause error) *change.Failure {
	return &change.Failure{
		Class: catalog.ClassPublication, Err: cause,
		Reason: fmt.Sprintf("publication %q was dropped and made again, and what was written between is not in the stream", d.config.publication),
		Fix:    "resync the pipe",
	}
}

// explainMissing explains a stream that the server ended because something does
// not exist. Where all of it does, the publication was dropped and made again:
// the server looks for it as it was when a change was written.
func (d *driver) explainMissing(ctx context.Context, conn *pgx.Conn, cause error) error {
	if err := d.checkStream(ctx, conn); err != nil {
		return err
	}
	return d.publicationRemade(cause)
}
