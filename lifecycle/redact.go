package lifecycle

import (
	"regexp"
	"time"
)

// shown returns a failure fit to be stored and shown: complete, and free of
// secrets.
func (f *Failure) shown() *Failure {
	if f == nil {
		f = &Failure{Class: "unknown", Reason: "no reason was given"}
	}
	c := *f
	c.Reason, c.Fix = withoutSecrets(c.Reason), withoutSecrets(c.Fix)
	if c.Class == "" {
		c.Class = "unknown"
	}
	if c.At.IsZero() {
		c.At = time.Now().UTC()
	}
	return &c
}

// withoutSecrets blots out passwords in what drivers and servers say. They are
// not supposed to be there; this is the last gate before the API, the page and
// the state file.
func withoutSecrets(text string) string {
	for _, p := range secretPatterns() {
		text = p.ReplaceAllString(text, "${1}xxxxx${2}")
	}
	return text
}

func secretPatterns() []*regexp.Regexp {
	return []*regexp.Regexp{
		// scheme://user:secret@host; the secret may hold '@', so it reaches to
		// the last one before a space or the path.
		regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:)[^\s/]*(@)`),
		// key=secret, key='a secret'
		regexp.MustCompile(`(?i)\b((?:password|passwd|api_token|token|secret)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&;,]+)()`),
	}
}
