#!/usr/bin/perl
# A simulated Perl panel and import-worker.pl for the tests of the cutover.
# Usage: perl_side.pl SOCKET DATABASE ZONE ASSETS_DIR COMMAND [ARGUMENT]
# It writes local times of a fixed zone, knows no column that this project added, and never deletes.
use strict;
use warnings;
use DBI;
use Digest::SHA qw(sha256_hex);
use JSON::PP;

my ($socket, $database, $zone, $assets, $command, @arguments) = @ARGV;
my $json = JSON::PP->new->canonical->allow_nonref;
my $dbh = DBI->connect(
    "DBI:MariaDB:database=$database;mariadb_socket=$socket", scalar(getpwuid($<)), undef,
    {RaiseError => 1, PrintError => 0, AutoCommit => 1},
);
$dbh->do("SET time_zone = ?", undef, $zone);
$dbh->do("SET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");

my %commands = (scan => \&scan, preflight => \&preflight, queue => \&queue, cancel => \&cancel, work => \&work,
                claim => \&claim_and_die, list => \&list);
$commands{$command}->(@arguments);

sub transaction {
    my ($work) = @_;
    $dbh->begin_work;
    my $result = eval { $work->() };
    if (my $error = $@) { $dbh->rollback; die $error }
    $dbh->commit;
    return $result;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/;
    return <$file>;
}

sub manifest {
    my $raw = slurp("$assets/sync/$_[0].json");
    return (decode_json($raw), sha256_hex($raw));
}

sub event {
    my ($batch_id, $type, $payload) = @_;
    $dbh->do("INSERT INTO ingest_event (batch_id, event_type, payload) VALUES (?, ?, ?)", undef, $batch_id, $type,
             $json->encode($payload));
}

sub batch { return $dbh->selectrow_hashref("SELECT * FROM ingest_batch WHERE sync_id = ?", undef, @_) }

sub scan {
    opendir my $folder, "$assets/sync" or die "$assets/sync: $!\n";
    for my $sync_id (map { /^([0-9a-f-]{36})\.ready$/ ? $1 : () } sort readdir $folder) {
        next if batch($sync_id);
        my ($found, $sha256) = manifest($sync_id);
        my $summary = {(map { $_ => $found->{$_} } qw(created_at completed_at prior_sync_id)),
                       'verification.passed' => $found->{verification}{passed},
                       'verification.total_files' => $found->{verification}{total_files}};
        transaction(sub {
            $dbh->do("INSERT INTO ingest_batch (sync_id, sync_type, action, item_count, total_bytes, source_host,"
                     . " manifest_sha256, manifest_summary, container_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", undef,
                     $sync_id, @{$found}{qw(sync_type action item_count total_bytes source_host)}, $sha256,
                     $json->encode($summary), scalar @{$found->{containers} // []});
            event($dbh->last_insert_id, 'scan', {source => 'filesystem', manifest_sha256 => $sha256});
        });
        print "scanned $sync_id\n";
    }
}

sub preflight {
    my ($sync_id) = @_;
    my ($found) = manifest($sync_id);
    my $batch = batch($sync_id);
    transaction(sub {
        my $asset = $dbh->prepare(
            "SELECT id FROM asset WHERE asset_type = ? AND asset_hash = ? AND deleted_at IS NULL");
        event($batch->{id}, 'preflight_started', {phase => 'preflight', sync_id => $sync_id});
        for my $item (@{$found->{items}}) {
            my ($id) = $dbh->selectrow_array($asset, undef, @{$item}{qw(asset_type asset_hash)});
            my $decision = $found->{action} eq 'remove' ? ($id ? 'will_remove' : 'will_skip')
                         : !$id ? 'will_create' : $found->{action} eq 'update' ? 'will_update' : 'will_skip';
            $dbh->do("INSERT INTO ingest_batch_item (batch_id, asset_type, asset_hash, cover_hash, decision, asset_id)"
                     . " VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE decision = VALUES(decision)", undef,
                     $batch->{id}, @{$item}{qw(asset_type asset_hash cover_hash)}, $decision, $id);
        }
        event($batch->{id}, 'preflight_finished', {ok => 1, phase => 'preflight', item_count => $found->{item_count}});
        $dbh->do("UPDATE ingest_batch SET status = 'preflight_passed', started_at = NOW() WHERE id = ?", undef,
                 $batch->{id});
    });
}

sub queue {
    my ($sync_id) = @_;
    preflight($sync_id) if batch($sync_id)->{status} ne 'preflight_passed';
    my $batch = batch($sync_id);
    transaction(sub {
        $dbh->do("INSERT INTO import_job (batch_id, requested_by, items_total) VALUES (?, 'perl admin', ?)", undef,
                 $batch->{id}, $batch->{item_count});
        my $job_id = $dbh->last_insert_id;
        $dbh->do("UPDATE ingest_batch SET status = 'queued' WHERE id = ?", undef, $batch->{id});
        event($batch->{id}, 'job_queued', {phase => 'job_queue', job_id => $job_id, requested_by => 'perl admin'});
        print "job $job_id\n";
    });
}

sub cancel {
    my ($job_id) = @_;
    transaction(sub {
        my $job = $dbh->selectrow_hashref("SELECT * FROM import_job WHERE id = ? FOR UPDATE", undef, $job_id);
        die "job $job_id is $job->{state}\n" if $job->{state} ne 'queued';
        $dbh->do("UPDATE import_job SET state = 'canceled', finished_at = NOW(), last_error = 'canceled by operator'"
                 . " WHERE id = ?", undef, $job_id);
        $dbh->do("UPDATE ingest_batch SET status = 'preflight_passed' WHERE id = ?", undef, $job->{batch_id});
        event($job->{batch_id}, 'job_canceled', {phase => 'job_cancel', job_id => "$job_id"});
    });
}

sub claim {
    return transaction(sub {
        my $job = $dbh->selectrow_hashref(
            "SELECT * FROM import_job WHERE state = 'queued' ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED"
        ) or return;
        $dbh->do("UPDATE import_job SET state = 'running', worker = ?, claimed_at = NOW(), attempts = attempts + 1"
                 . " WHERE id = ?", undef, "perl-host:$$", $job->{id});
        $dbh->do("UPDATE ingest_batch SET status = 'importing' WHERE id = ?", undef, $job->{batch_id});
        return $job;
    });
}

sub claim_and_die { my $job = claim() or die "nothing is queued\n"; print "claimed $job->{id}\n" }

sub work { while (my $job = claim()) { import_job($job) } }

sub import_job {
    my ($job) = @_;
    my $batch = $dbh->selectrow_hashref("SELECT * FROM ingest_batch WHERE id = ?", undef, $job->{batch_id});
    my ($found) = manifest($batch->{sync_id});
    for my $item (@{$found->{items}}) {
        transaction(sub {
            my ($decision, $asset_id) = import_item($found, $batch, $item);
            $dbh->do("UPDATE ingest_batch_item SET decision = ?, asset_id = ?, job_id = ? WHERE batch_id = ? AND"
                     . " asset_type = ? AND asset_hash = ?", undef, $decision, $asset_id, $job->{id}, $batch->{id},
                     @{$item}{qw(asset_type asset_hash)});
            $dbh->do("UPDATE import_job SET heartbeat_at = NOW(), items_done = items_done + 1 WHERE id = ?", undef,
                     $job->{id});
        });
    }
    transaction(sub { import_container($_) for @{$found->{containers} // []} });
    transaction(sub {
        $dbh->do("UPDATE import_job SET state = 'completed', finished_at = NOW() WHERE id = ?", undef, $job->{id});
        $dbh->do("UPDATE ingest_batch SET status = 'completed', completed_at = NOW() WHERE id = ?", undef,
                 $batch->{id});
        event($batch->{id}, 'job_finished', {phase => 'job_finish', job_id => $job->{id}});
    });
    print "imported $batch->{sync_id}\n";
}

sub import_item {
    my ($found, $batch, $item) = @_;
    my @key = @{$item}{qw(asset_type asset_hash)};
    my ($id) = $dbh->selectrow_array(
        "SELECT id FROM asset WHERE asset_type = ? AND asset_hash = ? FOR UPDATE", undef, @key);
    if ($found->{action} eq 'remove') {
        $dbh->do("UPDATE asset SET deleted_at = NOW(), last_batch_id = ? WHERE id = ?", undef, $batch->{id}, $id)
            if $id;
        return ($id ? 'removed' : 'skipped', $id);
    }
    return ('skipped', $id) if $id && $found->{action} eq 'create';
    my @fields = qw(asset_subtype path title mime_type width height bytes duration_seconds);
    my $is_new = !$id;
    if ($is_new) {
        $dbh->do("INSERT INTO asset (asset_type, asset_hash, first_batch_id, last_batch_id, " . join(', ', @fields)
                 . ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", undef, @key, ($batch->{id}) x 2, @{$item}{@fields});
        $id = $dbh->last_insert_id;
    } else {
        $dbh->do("UPDATE asset SET deleted_at = NULL, last_batch_id = ?, " . join(', ', map { "$_ = ?" } @fields)
                 . " WHERE id = ?", undef, $batch->{id}, @{$item}{@fields}, $id);
    }
    documents($id, "$assets/$item->{path}/source");
    for my $file (grep { $_->{kind} !~ /^(frosted|blurred|vivid_blurred)$/ } @{$item->{derivatives} // []}) {
        $dbh->do("INSERT INTO asset_derivative (asset_id, kind, path, bytes, sha256, mime_type, width, height)"
                 . " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                 . " ON DUPLICATE KEY UPDATE bytes = VALUES(bytes), sha256 = VALUES(sha256)", undef, $id,
                 @{$file}{qw(kind path bytes sha256 mime_type width height)});
    }
    $dbh->do("INSERT IGNORE INTO asset_cover (asset_id, cover_hash) VALUES (?, ?)", undef, $id, $item->{cover_hash})
        if $item->{cover_hash};
    $dbh->do("INSERT INTO asset_site_membership (asset_id) VALUES (?)", undef, $id) if $is_new;
    return ($is_new ? 'created' : 'updated', $id);
}

sub documents {
    my ($id, $folder) = @_;
    $dbh->do("INSERT INTO asset_source (asset_id, document) VALUES (?, ?) ON DUPLICATE KEY UPDATE document ="
             . " VALUES(document)", undef, $id, slurp("$folder/source.json"));
    for my $path (glob "$folder/data/*.json") {
        my ($name) = $path =~ m{([^/]+)$};
        my $kind = $name =~ /^photo\.(manifest|analysis|meaning|family)\.json$/ ? $1 : "source_data:$name";
        my $document = slurp($path);
        $dbh->do("INSERT IGNORE INTO asset_ai_run (asset_id, analysis_kind, document, content_sha256)"
                 . " VALUES (?, ?, ?, ?)", undef, $id, $kind, $document, sha256_hex($document));
    }
}

sub import_container {
    my ($container) = @_;
    my $kind = $container->{type};
    $dbh->do("INSERT INTO asset_$kind (${kind}_hash, title, cover_hash) VALUES (?, ?, ?)"
             . " ON DUPLICATE KEY UPDATE title = VALUES(title)", undef,
             @{$container}{qw(container_hash title cover_hash)});
    my ($id) = $dbh->selectrow_array("SELECT id FROM asset_$kind WHERE ${kind}_hash = ?", undef,
                                     $container->{container_hash});
    my $position = 0;
    for my $hash (@{$container->{items}}) {
        $dbh->do("INSERT INTO asset_${kind}_item (${kind}_id, asset_id, position) SELECT ?, id, ? FROM asset WHERE"
                 . " asset_hash = ? ON DUPLICATE KEY UPDATE position = VALUES(position)", undef,
                 $id, $position++, $hash);
    }
}

sub list {
    my $rows = $dbh->selectall_arrayref("SELECT b.sync_id, b.status, COUNT(j.id), SUM(j.state IN ('queued', 'running'))"
        . " FROM ingest_batch b LEFT JOIN import_job j ON j.batch_id = b.id GROUP BY b.id ORDER BY b.id");
    print join(' ', map { $_ // '-' } @$_), "\n" for @$rows;
}
