package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// print sums up a workload for a reader.
func (r *report) print(w workload) {
	into := r.workload(w.name)
	into.Results = r.sum(w)
	fmt.Printf("\n  %s: %d rows, %.0f MB\n\n", into.Title, into.Rows, float64(into.Bytes)/1e6)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "  contender\tmedian s\tmin\tmax\trows/s\tMB/s\tCPU s\tµs/row\tPG CPU\tCH CPU\tother\tpeak MiB\tparts\ttimes ours\tverified\truns\t")
	for _, s := range into.Results {
		fmt.Fprintf(table, "  %s\t%.2f\t%.2f\t%.2f\t%.0fk\t%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%s\t%s\t%.2f\t%s\t%d\t\n", s.Contender, s.Median, s.Min, s.Max,
			s.RowsPerSecond/1000, unlessZero("%.0f", s.MegabytesPerSecond), unlessZero("%.2f", s.CPUSeconds), unlessZero("%.2f", s.CPUMicrosecondsARow), s.PostgresCPU, s.ClickHouseCPU,
			s.OtherCPU, unlessZero("%.0f", float64(s.PeakRSS)/(1<<20)), unlessZero("%.0f", float64(s.Parts)), s.Ratio, s.Verified, s.Runs)
	}
	_ = table.Flush()
	for _, s := range into.Results {
		if l := s.Latency; l != nil {
			fmt.Printf("\n  %s: commit to visible p50 %.0f ms, p99 %.0f ms, at most %.0f ms, of %d commits\n", s.Contender, l.P50*1000, l.P99*1000, l.Max*1000, l.N)
		}
	}
	if r.Loaded {
		fmt.Println("\n  Other processes were busy: these are no figures to quote.")
	}
	for _, note := range into.Notes {
		fmt.Println("  note:", note)
	}
}

func unlessZero(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
