package pgvalue

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/penstock/penstock/internal/change"
)

// elements reads an array to its end; NULL stands for itself, in brackets.
func elements(t tester, r *ArrayReader) []string {
	t.Helper()
	got := []string{}
	for {
		elem, null, ok := r.Next()
		if !ok {
			break
		}
		if null {
			got = append(got, "(null)")
		} else {
			got = append(got, string(elem))
		}
	}
	if r.Err() != nil {
		t.Errorf("%v", r.Err())
	}
	return got
}

func TestTextArrayUnescapes(t *testing.T) {
	for _, tc := range []struct {
		literal  string
		dims     []int
		elements []string
	}{
		{`{}`, nil, []string{}},
		{` { } `, nil, []string{}},
		{`{{},{}}`, nil, []string{}},
		{`{a}`, []int{1}, []string{"a"}},
		{`{ a b , c }`, []int{2}, []string{"a b", "c"}},
		{`{NULL,null,"NULL",nul,\NULL}`, []int{5}, []string{"(null)", "(null)", "NULL", "nul", "NULL"}},
		{`{"","a\"b\\c",d\,e,f\ }`, []int{4}, []string{"", `a"b\c`, "d,e", "f "}},
		{`{{1,2},{3,4},{5,6}}`, []int{3, 2}, []string{"1", "2", "3", "4", "5", "6"}},
		{`[-1:0][7:7]={{x},{y}}`, []int{2, 1}, []string{"x", "y"}},
		{`{{{{{{deep}}}}}}`, []int{1, 1, 1, 1, 1, 1}, []string{"deep"}},
	} {
		r, err := TextArray([]byte(tc.literal), ',', nil)
		if err != nil {
			t.Errorf("%s: %v", tc.literal, err)
			continue
		}
		var dims []int
		for d := range r.Dims() {
			dims = append(dims, r.DimLen(d))
		}
		if got := elements(t, &r); !reflect.DeepEqual(dims, tc.dims) || !reflect.DeepEqual(got, tc.elements) || r.Len() != len(tc.elements) {
			t.Errorf("%s: %v of %v, Len %d", tc.literal, got, dims, r.Len())
		}
		if r.LowerBoundOne() != (tc.literal[0] != '[') {
			t.Errorf("%s: LowerBoundOne %v", tc.literal, r.LowerBoundOne())
		}
	}
	boxes, err := TextArray([]byte("{(1,2),(3,4);(5,6),(7,8)}"), ';', nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := elements(t, &boxes); !reflect.DeepEqual(got, []string{"(1,2),(3,4)", "(5,6),(7,8)"}) {
		t.Errorf("%q", got)
	}
}

func TestTextArrayRefusesWhatIsNoArray(t *testing.T) {
	for _, literal := range []string{
		``, `a`, `{`, `}`, `{a`, `{a}}`, `{a}b`, `{a,}`, `{,a}`, `{a,,b}`, `{"a}`, `{a\`, `{{a},b}`, `{a,{b}}`, `{{a},{b,c}}`, `{{a},{}}`, `{{},a}`,
		`{a"b"}`, `{"a"b}`, `{a{b}}`, `{{{{{{{deep}}}}}}}`, `[1:2]={a}`, `[1:1]{a}`, `[1]={a}`, `[2:1]={}`, `[1:1][1:1]={a}`, `[x:1]={a}`, `[1:1={a}`,
		`[2147483647:2147483647]={a}`, `[1:99999999999]={a}`,
	} {
		if r, err := TextArray([]byte(literal), ',', nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", literal, elements(t, &r), err)
		}
	}
}

// TestTextArrayAgreesWithTheServer makes up literals, well formed or nearly so.
// What the reader takes for an array the server must take for the same one. The
// server takes a few more that it never prints, such as bounds of no elements.
func TestTextArrayAgreesWithTheServer(t *testing.T) {
	s := connect(t, "")
	if s.version < 17 {
		t.Skip("older servers are less strict about what they never print themselves")
	}
	textArray := s.types[1009]
	rapid.Check(t, func(t *rapid.T) {
		literals := make([]string, 50)
		batch := make([]*pgconn.Result, len(literals))
		for i := range literals {
			literals[i] = "{" + rapid.StringOfN(rapid.RuneFrom([]rune(`{},"\ aNULL`)), 0, 12, -1).Draw(t, "literal") + "}"
			batch[i] = s.conn.ExecParams(t.Context(), "SELECT ($1::text)::text[]", [][]byte{[]byte(literals[i])}, nil, nil, nil).Read()
		}
		for i, literal := range literals {
			r, err := TextArray([]byte(literal), ',', nil)
			if err != nil {
				if batch[i].Err == nil {
					t.Errorf("refused %q, which the server takes for %s: %v", literal, batch[i].Rows[0][0], err)
				}
				continue
			}
			if batch[i].Err != nil {
				t.Errorf("took %q for %q, which the server refuses: %v", literal, elements(t, &r), batch[i].Err)
				continue
			}
			ours, err := Structured(textArray, -1, change.Text, []byte(literal))
			server, serverErr := Structured(textArray, -1, change.Text, batch[i].Rows[0][0])
			if err != nil || serverErr != nil || fmt.Sprintf("%#v", ours) != fmt.Sprintf("%#v", server) {
				t.Errorf("took %q for %#v, the server for %#v; %v, %v", literal, ours, server, err, serverErr)
			}
		}
	})
}
