# CI runs check, test and fuzz. Nothing but Go and gcc is needed for them.
MODULES    := . examples internal/interop internal/bench adapters/prometheus
STATIC     := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 20s

.PHONY: test check fuzz bench interop attack cover

test: ## every test of every module
	@for m in $(MODULES); do echo "== test $$m"; (cd $$m && go test -race -shuffle=on -timeout 8m ./...) || exit 1; done

check: ## formatting, vet, staticcheck, the list of dependencies
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	@for m in $(MODULES); do echo "== check $$m"; (cd $$m && go vet ./... && go run $(STATIC) ./... && go mod verify >/dev/null && go mod tidy -diff) || exit 1; done

# go test fails with "context deadline exceeded" and no failing input when FUZZTIME
# is up while an input is being run: that is no finding.
fuzz: ## each fuzz target for FUZZTIME
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "== fuzz $$p $$f"; \
	    out=$$(go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$p 2>&1) && { echo "$$out" | tail -3; continue; }; \
	    echo "$$out"; \
	    case "$$out" in *"Failing input"*) exit 1;; *"context deadline exceeded"*) ;; *) exit 1;; esac; \
	  done; \
	done

bench: ## every contender in turn in one run, in under ten minutes; BENCH="-only wire" measures a part
	go run -C internal/bench . $(BENCH)

interop: ## attacks on five libraries, bare and guarded; rewrites the table of them
	cd internal/interop && go test -count=1 -timeout 8m -run '^TestAttackTable$$' -attacks=ATTACKS.md

attack: ## the attack kit on the chat and five bare libraries; rewrites the matrix of them
	@chat=$$(mktemp) && (cd examples/chat && go test -v -count=1 -run '^TestAttack$$' -report=$$chat >&2) && \
	(cd internal/interop && go test -count=1 -timeout 8m -run '^TestKitMatrix$$' -kit=KIT.md -chat=$$chat >&2); status=$$?; rm -f $$chat; exit $$status

cover: ## statements covered in the root package and internal/
	@go test -coverpkg=.,./internal/... -coverprofile=coverage.out ./... >/dev/null && go tool cover -func=coverage.out | tail -1
