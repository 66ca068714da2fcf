package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	bombSize    = 1<<20 - 512
	bombClients = 64
	bombMemory  = 512 << 20 // bytes that the server may take
	// Others may wait that many times longer than beside bodies as long as bombs, or that long: a loaded machine needs it.
	bombSlower = 20
	bombWait   = 5 * time.Second
)

// bombed is a family of calls: what stands before and behind the part of a body that grows.
type bombed struct {
	path, head, tail string
	values           string // the member that holds a value map of the caller's
}

// bombedFamilies are the families of decision calls.
func bombedFamilies() []bombed {
	const who = `"entityId":"alice","entityTypeId":"user",`
	const subject = `"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},`
	return []bombed{
		{"/api/runtime/token/v3", `{` + who, `}`, "environment"},
		{"/api/runtime/resolution/v3", `{` + who, `}`, "contextData"},
		{"/api/runtime/permit-deny/v3", `{` + who + `"listOfResources":{"resourceType":"record","resources":{"path":"record-1","action":"read"}},`, `}`, "entityAttributes"},
		{"/api/runtime/userlist/v3", `{"asset":{"resourceType":"record","path":"record-1"},`, `}`, "contextData"},
		{"/api/runtime/policies/v3", `{"objects":[{"type":"Identity","data":{` + who, `}}]}`, "environment"},
		{"/api/runtime/5.0/decisions", `{"method":"GET","uri":"/a","meta":{"runtimeFineTune":{` + who, `}}}`, "environment"},
		{"/access/v1/evaluation", `{` + subject, `}`, "context"},
		{"/access/v1/evaluations", `{` + subject + `"evaluations":[{},{}],`, `}`, "context"},
		{"/access/v1/search/subject", `{` + subject, `}`, "context"},
		{"/access/v1/search/resource", `{` + subject, `}`, "context"},
		{"/access/v1/search/action", `{` + subject, `}`, "context"},
	}
}

// bombs are the bodies of a family, each about as long as bombSize: what is read and what is ignored, what is refused at the
// end and what is answered.
func (f bombed) bombs() map[string]string {
	room := bombSize - len(f.head) - len(f.tail) - 100
	fill := func(member func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < room; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(member(i))
		}
		return b.String()
	}
	in := func(text string) string { return f.head + text + f.tail }
	used := `"` + f.values + `":`
	return map[string]string{
		"levels":             in(`"x":` + strings.Repeat(`[`, room/2) + strings.Repeat(`]`, room/2)),
		"levels below 30":    in(used + `{"x":[` + fill(func(int) string { return strings.Repeat(`[`, 25) + strings.Repeat(`]`, 25) }) + `]}`),
		"unknown names":      in(fill(func(i int) string { return fmt.Sprintf(`"%x":0`, i) })),
		"names":              in(used + `{` + fill(func(i int) string { return fmt.Sprintf(`"%x":[""]`, i) }) + `}`),
		"objects":            in(used + `{"x":[` + fill(func(int) string { return `{"a":{}}` }) + `]}`),
		"a name again":       in(fill(func(i int) string { return fmt.Sprintf(`"%x":0`, i) }) + `,"0":1`),
		"exponents":          in(used + `{"n":[` + fill(func(i int) string { return fmt.Sprintf(`%de%d`, i, 9000+i%999) }) + `]}`),
		"equal values":       in(used + `{"n":[` + fill(func(int) string { return `""` }) + `]}`),
		"different values":   in(used + `{"n":[` + fill(func(i int) string { return fmt.Sprintf(`"%x"`, i) }) + `]}`),
		"a text of escapes":  in(used + `{"s":["` + strings.Repeat(`\u0061`, room/6) + `"]}`),
		"a number of digits": in(used + `{"n":[` + strings.Repeat(`9`, room) + `]}`),
		"cut off":            f.head + used + `{"n":[` + fill(func(i int) string { return strconv.Itoa(i) }),
	}
}

// harmless is a body as long as a bomb.
func (f bombed) harmless() string {
	return f.head + `"x":"` + strings.Repeat("x", bombSize-len(f.head)-len(f.tail)-100) + `"` + f.tail
}

// peak is the most memory that the server has had, in bytes; 0 where the system does not tell.
func (s *server) peak() int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return kib << 10
		}
	}
	return 0
}

// question asks as the scope of fillCertification and gives the status.
func (s *server) question(path, body string) int {
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	r.Header.Set("X-Client-Id", certificationPEP)
	r.Header.Set("X-Client-Secret", walkSecret)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Errorf("%s: %v", path, err)
		return 0
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Errorf("%s: %v", path, err)
	}
	if answer.StatusCode >= 500 && answer.StatusCode != http.StatusServiceUnavailable {
		s.t.Errorf("%s %.100s: %d %.200s", path, body, answer.StatusCode, text)
	}
	return answer.StatusCode
}

// bomb is a body on its way.
type bomb struct{ path, body string }

// flood sends bombs, each of 64 clients one after the other and each bomb at least once, and meanwhile asks small questions; it
// gives how long those took, the shortest first, and the statuses of the bombs.
func (s *server) flood(bombs []bomb) (waits []time.Duration, statuses map[int]int) {
	s.t.Helper()
	var clients sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	statuses = map[int]int{}
	done := make(chan struct{})
	for range bombClients {
		clients.Go(func() {
			for i := next.Add(1) - 1; i < int64(max(len(bombs), bombClients)); i = next.Add(1) - 1 {
				b := bombs[int(i)%len(bombs)]
				status := s.question(b.path, b.body)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	go func() {
		clients.Wait()
		close(done)
	}()
	for {
		started := time.Now()
		if status := s.question("/api/runtime/token/v3", `{"entityId":"alice","entityTypeId":"user"}`); status != http.StatusOK {
			s.t.Errorf("beside bombs: %d", status)
		}
		waits = append(waits, time.Since(started))
		select {
		case <-done:
			slices.Sort(waits)
			return waits, statuses
		default:
		}
	}
}

// of are the bombs of some families, and as many harmless bodies.
func of(families ...bombed) (bombs, harmless []bomb) {
	for _, f := range families {
		shapes := f.bombs()
		for _, name := range slices.Sorted(maps.Keys(shapes)) {
			bombs = append(bombs, bomb{f.path, shapes[name]})
			harmless = append(harmless, bomb{f.path, f.harmless()})
		}
	}
	return bombs, harmless
}

// slowest is the 99th of 100.
func slowest(waits []time.Duration) time.Duration { return waits[len(waits)*99/100] }

// TestParserBombs is reliability.md 3 (parser bombs), 1.8 and RT-7: 64 clients that send the worst bodies of a MiB to all
// families of decision calls neither fill the memory nor keep others waiting, and nothing fails that should be refused.
func TestParserBombs(t *testing.T) {
	s := start(t)
	fillCertification(s)
	bombs, harmless := of(bombedFamilies()...)
	before, _ := s.flood(harmless[:bombClients])
	waits, statuses := s.flood(bombs)
	t.Logf("%d bombs are answered with %v; others wait %v beside harmless bodies, %v beside bombs; %d MiB",
		len(bombs), statuses, slowest(before), slowest(waits), s.peak()>>20)
	if s.peak() > bombMemory {
		t.Errorf("the server took %d MiB", s.peak()>>20)
	}
	if slowest(waits) > bombSlower*slowest(before) && slowest(waits) > bombWait {
		t.Errorf("others wait %v beside bombs, %v beside harmless bodies", slowest(waits), slowest(before))
	}
	if statuses[http.StatusBadRequest] < 10 || statuses[http.StatusOK] == 0 {
		t.Errorf("the mix of bombs is poor: %v", statuses)
	}
}

// BenchmarkParserBombs prints for each family how long small questions wait beside bombs, beside harmless bodies as long,
// beside small questions of as many clients and beside nothing, at the 99th of 100.
func BenchmarkParserBombs(b *testing.B) {
	for _, f := range bombedFamilies() {
		b.Run(strings.Trim(f.path, "/"), func(b *testing.B) {
			s := start(b)
			fillCertification(s)
			alone := make([]time.Duration, 2000)
			for i := range alone {
				started := time.Now()
				s.question("/api/runtime/token/v3", `{"entityId":"alice","entityTypeId":"user"}`)
				alone[i] = time.Since(started)
			}
			slices.Sort(alone)
			bombs, harmless := of(f)
			small := slices.Repeat([]bomb{{f.path, f.head + `"x":""` + f.tail}}, 100*len(bombs))
			var beside, quiet, busy []time.Duration
			for b.Loop() {
				waits, _ := s.flood(slices.Repeat(bombs, 10))
				beside = append(beside, waits...)
				waits, _ = s.flood(slices.Repeat(harmless, 10))
				quiet = append(quiet, waits...)
				waits, _ = s.flood(small)
				busy = append(busy, waits...)
			}
			slices.Sort(beside)
			slices.Sort(quiet)
			slices.Sort(busy)
			b.ReportMetric(float64(slowest(alone).Microseconds()), "µs-alone")
			b.ReportMetric(float64(slowest(busy).Microseconds()), "µs-beside-small")
			b.ReportMetric(float64(slowest(quiet).Microseconds()), "µs-beside-harmless")
			b.ReportMetric(float64(slowest(beside).Microseconds()), "µs-beside-bombs")
			b.ReportMetric(float64(s.peak()>>20), "MiB")
		})
	}
}
