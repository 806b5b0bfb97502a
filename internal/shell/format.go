package shell

import (
	"fmt"
	"strconv"
	"time"
)

// thousands writes 1234567 as 1,234,567.
func thousands[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// size writes bytes with a unit.
func size[N int64 | uint64](n N) string {
	const step = 1024
	value, unit := float64(n), 0
	units := [...]string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// span writes a duration with its two largest units: 3d4h, 2h5m, 1m30s, 12s.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

// seconds writes a short time with a tenth.
func seconds(s float64) string {
	if s >= 60 {
		return span(time.Duration(s * float64(time.Second)))
	}
	return fmt.Sprintf("%.1fs", s)
}
