package insert

import "testing"

func TestErrorsAreOneSentence(t *testing.T) {
	const advice = "\n\nIf you use ClickHouse Cloud, the password can be reset at a page.\nIf you have installed ClickHouse, look at a file.\n\n"
	for text, want := range map[string]string{
		"plain": "plain",
		"connecting to a:9000: refused\nconnecting to b:9000: refused":                       "connecting to a:9000: refused; connecting to b:9000: refused",
		"connecting to a:9000: wrong password." + advice + "\nconnecting to b:9000: refused": "connecting to a:9000: wrong password.; connecting to b:9000: refused",
		"wrong password." + advice: "wrong password.",
	} {
		if got := oneSentence(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
