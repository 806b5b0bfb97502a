package page

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestPageIsSelfContained(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	body := w.Body.String()
	for _, want := range []string{"class PipeView", "async function listen", ".course", "<main id=\"pipes\">"} {
		if !strings.Contains(body, want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	// The one address is a namespace, which nothing is loaded from.
	for _, url := range regexp.MustCompile(`https?://[^"' )]+`).FindAllString(body, -1) {
		if !strings.HasPrefix(url, "http://www.w3.org/2000/svg") {
			t.Errorf("the document names %s", url)
		}
	}
	if n := strings.Count(body, "</script>"); n != 1 {
		t.Errorf("%d scripts end", n)
	}
}

// TestPageNeverMakesMarkupOfData: names of tables are chosen by others.
func TestPageNeverMakesMarkupOfData(t *testing.T) {
	document, _ := assemble()
	for _, danger := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", `style="`, `"style"`, " onclick=\""} {
		if strings.Contains(string(document), danger) {
			t.Errorf("the document uses %s", danger)
		}
	}
}

func TestPolicyAllowsThisScriptAndNoOther(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	policy := w.Header().Get("Content-Security-Policy")
	for _, element := range []string{"script", "style"} {
		inline := regexp.MustCompile(`(?s)<` + element + `>(.*)</` + element + `>`).FindSubmatch(w.Body.Bytes())
		if inline == nil || len(inline[1]) < 1000 {
			t.Fatalf("no %s in the document", element)
		}
		if want := element + "-src " + digest(inline[1]); !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	for _, bad := range []string{"unsafe", "*", "http:"} {
		if strings.Contains(policy, bad) {
			t.Errorf("the policy %q allows %s", policy, bad)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("the policy is %q", policy)
	}
}
