package lifecycle

import (
	"testing"
	"time"
)

func TestLagIsTheAgeOfTheOldestUnconfirmedWAL(t *testing.T) {
	var h slotHistory
	start := time.Unix(1_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, step := range []struct {
		second             int
		current, confirmed uint64
		bytes              int64
		lag                time.Duration
	}{
		{0, 100, 100, 0, 0},
		{10, 200, 100, 100, 0},
		{20, 300, 100, 200, 10 * time.Second},
		{30, 300, 150, 150, 20 * time.Second},
		{40, 400, 200, 200, 20 * time.Second}, // what was seen at 10 s is confirmed
		{50, 400, 400, 0, 0},
		{60, 400, 500, 0, 0}, // confirmed ahead of the WAL end that was read before
	} {
		h.observe(SlotStatus{CurrentLSN: step.current, ConfirmedLSN: step.confirmed}, at(step.second))
		if h.lagBytes() != step.bytes || h.lag(at(step.second)) != step.lag {
			t.Errorf("at %d s: %d bytes, %v; want %d, %v", step.second, h.lagBytes(), h.lag(at(step.second)), step.bytes, step.lag)
		}
	}
}

func TestLagOfAPauseOfDaysIsBoundedInMemory(t *testing.T) {
	var h slotHistory
	start := time.Unix(0, 0)
	const n = 100_000
	for i := range n {
		h.observe(SlotStatus{CurrentLSN: uint64(i + 1), ConfirmedLSN: 0}, start.Add(time.Duration(i)*time.Second))
	}
	if len(h.reached) > longestMarks {
		t.Errorf("%d marks", len(h.reached))
	}
	if got := h.lag(start.Add((n - 1) * time.Second)); got != (n-1)*time.Second {
		t.Errorf("lag is %v", got)
	}
}

func TestTimeToLoss(t *testing.T) {
	for name, tc := range map[string]struct {
		safe func(second int) *int64
		want time.Duration // 0: no end in sight
		lost bool
	}{
		"no limit":      {func(int) *int64 { return nil }, 0, false},
		"steady":        {func(int) *int64 { v := int64(1e9); return &v }, 0, false},
		"1 MB a second": {func(s int) *int64 { v := int64(1e9) - int64(s)*1e6; return &v }, 900 * time.Second, false},
		"saw tooth":     {func(s int) *int64 { v := int64(1e9) - int64(s%30)*1e6; return &v }, 0, false},
		"recovering":    {func(s int) *int64 { v := int64(1e9) + int64(s)*1e6; return &v }, 0, false},
		"a byte a day":  {func(s int) *int64 { v := int64(1e12) - int64(s/99); return &v }, 0, false},
		"nothing left":  {func(int) *int64 { v := int64(-5); return &v }, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var h slotHistory
			start := time.Unix(0, 0)
			for s := 0; s <= 100; s += 5 {
				h.observe(SlotStatus{SafeWALSize: tc.safe(s)}, start.Add(time.Duration(s)*time.Second))
			}
			got, ok := h.timeToLoss()
			if ok != (tc.want > 0 || tc.lost) || got.Round(time.Second) != tc.want {
				t.Errorf("got %v %v, want %v", got, ok, tc.want)
			}
		})
	}
}

func TestRatesAreOverTheInterval(t *testing.T) {
	var r rates
	start := time.Unix(0, 0)
	for i := range sampleCount + 10 {
		r.add(start.Add(time.Duration(i)*sampleInterval), uint64(i*100), uint64(i*10), sample{lagBytes: float64(i)})
	}
	h := r.history()
	if len(h.RowsPerSecond) != sampleCount || h.Samples != sampleCount+10 {
		t.Fatalf("%d of %d samples", len(h.RowsPerSecond), h.Samples)
	}
	last := sampleCount - 1
	if h.RowsPerSecond[last] != 50 || h.ReceivedPerSecond[last] != 5 || h.LagBytes[last] != sampleCount+9 || h.LagBytes[0] != 10 {
		t.Errorf("rows %v, received %v, lag %v to %v", h.RowsPerSecond[last], h.ReceivedPerSecond[last], h.LagBytes[0], h.LagBytes[last])
	}
}
