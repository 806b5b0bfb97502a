package lifecycle_test
import ("testing";"net";"net/url";"time";"github.com/penstock/penstock/lifecycle/api")
func TestZZ(t *testing.T) {
	e := newEnds(t)
	e.source(t,
		`CREATE TABLE events AS SELECT id::bigint, id % 1000 AS kind, md5(id::text) AS note, now() - id * interval '1 second' AS at FROM generate_series(1, 2000000) id`,
		`ALTER TABLE events ADD PRIMARY KEY (id)`)
	p := e.pipe(t, options{input: []string{"snapshot: {parallelism: 2, chunk_rows: 20000}"}}).start()
		p.until("x", func(d api.PipeDetail) bool {
			events := table(d, "events")
			return events.ChunksTotal > 0 && float64(events.ChunksDone) >= 0.1*float64(events.ChunksTotal)
		})
	u, _ := url.Parse(e.clickHouseDSN)
	stop := make(chan struct{})
	go func() {
		for i := 0; i < 300; i++ {
			c, err := net.Dial("tcp", u.Host)
			t.Log(time.Now().Format("05.000"), err)
			if err == nil { c.Close() }
			time.Sleep(2*time.Millisecond)
		}
		close(stop)
	}()
	time.Sleep(20*time.Millisecond)
	t.Log("kill", time.Now().Format("05.000"))
	p.kill()
	t.Log("killed", time.Now().Format("05.000"))
	<-stop
}
