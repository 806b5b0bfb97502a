package catalog

import (
	"testing"
)

func TestServerCheck(t *testing.T) {
	fit := Server{Version: 170000, WALLevel: "logical", MayReplicate: true}
	for _, tt := range []struct {
		name      string
		change    func(*Server)
		streaming bool
		class     string // "" is fit
		want      []string
	}{
		{"fit", func(*Server) {}, true, "", nil},
		{"the oldest", func(s *Server) { s.Version = 140000 }, true, "", nil},
		{"too old", func(s *Server) { s.Version = 130012 }, false, ClassServer, []string{"13", "14 or later"}},
		{"wal_level", func(s *Server) { s.WALLevel = "replica" }, true, ClassServer, []string{`"replica"`, "ALTER SYSTEM SET wal_level = logical"}},
		{"wal_level does not matter for a snapshot", func(s *Server) { s.WALLevel, s.MayReplicate = "replica", false }, false, "", nil},
		{"no right", func(s *Server) { s.MayReplicate = false }, true, ClassPrivilege, []string{`ALTER ROLE "o""ne" REPLICATION`}},
		{"an old standby", func(s *Server) { s.Version, s.InRecovery = 150000, true }, true, ClassServer, []string{"standby", "primary"}},
		{"a standby", func(s *Server) { s.Version, s.InRecovery = 160000, true }, true, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fit
			tt.change(&s)
			err := s.Check(`o"ne`, tt.streaming)
			if tt.class != "" {
				wantFailure(t, err, tt.class, tt.want...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServerIsReadWithFewRights: no function that needs more than LOGIN.
func TestServerIsReadWithFewRights(t *testing.T) {
	d := newDatabase(t)
	if !d.server.MayReplicate || d.server.WALLevel != "logical" || d.server.SystemID == "" || d.server.BlockSize != 8192 || d.server.MoneyDigits != 2 || d.server.InRecovery {
		t.Errorf("got %+v", d.server)
	}
	name, dsn := d.role("")
	plain := open(t, dsn)
	if plain.server.MayReplicate {
		t.Error("a plain role may not replicate")
	}
	if plain.server.SystemID != d.server.SystemID || plain.source.User() != name {
		t.Errorf("got %+v", plain.server)
	}
	d.exec("ALTER ROLE "+name+" REPLICATION", "ALTER ROLE "+name+" SET wal_sender_timeout = '7s'")
	if server := open(t, dsn).server; !server.MayReplicate || server.WALSenderTimeout.Seconds() != 7 {
		t.Errorf("got %+v", server)
	}
}
